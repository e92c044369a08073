"""The plugin's old store of posts: read, moved into the tables, and moved back."""

from typing import Final

DOOR: Final = ("made", "old_posts", "posts", "posts_back", "whole_posts")
"""The modules that other rooms may import."""
