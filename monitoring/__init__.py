"""What watches the service: Prometheus rules, Grafana dashboards as code. Imports nothing of it."""
