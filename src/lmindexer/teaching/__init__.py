"""A method is taught a task: from files to a taught run."""
