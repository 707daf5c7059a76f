"""Text -> documents: one file a retriever."""
