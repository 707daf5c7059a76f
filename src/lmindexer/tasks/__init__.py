"""What IDs are good for (section 4.3 on): queries and their relevant documents, to train on and to judge by."""
