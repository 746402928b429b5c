"""Embeddings, kept and searched: index, backends, folders, stores."""
