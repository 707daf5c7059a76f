"""ARE THE ANSWERS RIGHT: methods asked the same questions, judged side by side, and kept in runs."""
