// What the Python bindings of TensorRT 11 need of libnvinfer.so.11 to be imported. Nothing of it is
// called by an import; a test that called it would get a null pointer.
#define NOTHING(name) \
  void* name() { return 0; }

NOTHING(createInferBuilder_INTERNAL)
NOTHING(createInferRefitter_INTERNAL)
NOTHING(createInferRuntime_INTERNAL)
NOTHING(getBuilderPluginRegistry)
NOTHING(getPluginRegistry)
NOTHING(getLogger)

int getInferLibVersion() { return 110400; }
int getInferLibMajorVersion() { return 11; }
int getInferLibMinorVersion() { return 4; }
int getInferLibPatchVersion() { return 0; }
int getInferLibBuildVersion() { return 106; }
