"""CogView2: pictures from text, regions of them anew, captions, and two super-resolutions."""
