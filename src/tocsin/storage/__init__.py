"""Where everything is kept: schema, statements and the engines behind one interface (`interface.Storage`)."""
