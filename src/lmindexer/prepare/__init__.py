"""Raw data as it is published becomes the files that `learn`, `finetune` and `evaluate` read (appendix A.1)."""
