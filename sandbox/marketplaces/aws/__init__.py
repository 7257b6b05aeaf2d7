"""AWS Marketplace: `BatchMeterUsage` as the service's own texts describe it."""
