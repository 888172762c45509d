"""The only room that speaks HTTP: routers, schemas, problems, middleware."""
