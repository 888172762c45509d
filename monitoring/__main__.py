"""Writes what is made from code: the dashboards, and the rules as Kubernetes takes them."""

from monitoring.generated import ROOT, generated

for name, text in generated().items():
    (ROOT / name).write_text(text, "utf-8")
