"""The embedded endpoint: ComfyUI's HTTP and websocket protocol, as version 0.27.0 speaks it, over the
model-free core nodes.

``python -m pixaris.comfyui.server --port 8188`` starts it; `app.build_app` builds it as an aiohttp
application; `inprocess.serve_in_thread` runs it inside another program.
"""

COMFYUI_VERSION = "0.27.0"
