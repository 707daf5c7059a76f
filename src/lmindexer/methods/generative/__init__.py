"""Generated IDs: a model that was learned or taught gives them to questions."""
