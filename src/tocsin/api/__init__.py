"""The service over HTTP: routes, request models, error mapping, description. No rule of the service lives here."""
