"""The pages of the dashboard: routes, who may see them, templates and what they are filled with."""
