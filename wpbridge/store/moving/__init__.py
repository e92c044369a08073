"""Thousands of whole rows at a time, for migrations, and the plugin's old store of posts."""

from typing import Final

DOOR: Final = ("bulk", "old_posts", "posts", "posts_back", "whole_posts")
"""The modules that other rooms may import."""
