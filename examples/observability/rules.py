"""When somebody is to be told about the models of ``service.py``; ``modelmon rules`` writes it for Prometheus."""

from modelmon import Rule

# This show is too short for labels to ripen, so quality is judged as it comes: mature=False.
RULES = [
    Rule("fraud answers slowly", "duration", quantile=0.99, above=0.250, hold=60, model="fraud"),
    Rule("fraud fails", "errors", per="calls", above=0.05, hold=60, model="fraud", severity="page"),
    Rule(
        "fraud is missed",
        "recall",
        of="fraud",
        below=0.80,
        hold=60,
        window="1h",
        mature=False,
        min_support=100,
        confidence=0.95,
        model="fraud",
        note="The model finds too few of the fraudulent orders: see its dashboard.",
    ),
    Rule("nobody labels", "coverage", below=0.50, hold=300, window="1h", mature=False, min_support=500),
]
