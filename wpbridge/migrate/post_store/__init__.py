"""The plugin's old store in posts becomes rows of its tables, and posts again."""
