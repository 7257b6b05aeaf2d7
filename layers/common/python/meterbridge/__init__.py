"""Meterbridge: the billing layer between a SaaS product and the cloud marketplaces."""
