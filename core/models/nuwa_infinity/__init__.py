"""NUWA-Infinity: pictures and videos of any size, patch after patch and token after token."""
