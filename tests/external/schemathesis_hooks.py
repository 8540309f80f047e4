"""What schemathesis cannot know by itself: a plugin package is sent as it is."""

import schemathesis


@schemathesis.serializer("application/wasm")
def package(_context, value):
    return {"data": value if isinstance(value, bytes) else str(value).encode()}
