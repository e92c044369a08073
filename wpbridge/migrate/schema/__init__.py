"""The plugin's tables compared with its layouts, and mended."""
