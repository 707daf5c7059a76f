"""What `import lmindexer` offers: every verb as a method of a run that is open, in a folder or in memory."""
