"""Looks at the files of a retailer that no adapter knows, and proposes the mapping that reads them."""
