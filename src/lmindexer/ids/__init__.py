"""What a semantic ID is: the table of all documents' IDs and how good they are. Arrays only, no networks."""
