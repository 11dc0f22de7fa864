"""A detector behind HTTP: an interface for programs and a page for people.

engine  what answers: a run, or an exported file
limits  what a request may cost, and how it is refused
request from the bytes of a request to a picture
batching  requests that wait together go through the network together
routes  what a request is answered with
meters  what is counted and timed
app     the application: routes, and what surrounds each of them
page/   the page; nothing in it is fetched from elsewhere
"""

from mmmc.serve.app import make_app
from mmmc.serve.engine import Engine, Explainer, FileEngine, Found, RunEngine
from mmmc.serve.limits import Limits

__all__ = ["Engine", "Explainer", "FileEngine", "Found", "Limits", "RunEngine", "make_app"]
