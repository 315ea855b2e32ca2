"""What this machine can do for dln, tried rather than believed: `dln doctor --deep`."""
