"""Label intake over HTTP, as an ASGI application to mount, and with metrics as ``modelmon serve``."""

from modelmon.serving.application import label_app as label_app
