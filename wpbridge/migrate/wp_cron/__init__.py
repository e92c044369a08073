"""WP-Cron's events become actions, and actions its events again."""
