"""Azure Marketplace: usage events and the tokens they ask for (contracts.md §2.1)."""
