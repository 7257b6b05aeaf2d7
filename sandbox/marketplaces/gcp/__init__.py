"""Google Cloud Marketplace: Service Control v1 and the tokens it asks for (contracts.md §3.1)."""
