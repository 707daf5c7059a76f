"""SEAL (Bevilacqua et al. 2022): a model generates n-grams that the documents hold, and these find the documents."""
