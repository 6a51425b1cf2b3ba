"""Where every second of a cold start went: from logs and live starts to tables, pages, traces and comparisons."""
