"""CogVideo: text to video by a hierarchy of transformers over image codes (2205.15868)."""
