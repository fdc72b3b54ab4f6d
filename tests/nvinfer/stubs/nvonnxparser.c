// The same for libnvonnxparser.so.11.
void* createNvOnnxParser_INTERNAL() { return 0; }
void* createNvOnnxParserRefitter_INTERNAL() { return 0; }
int getNvOnnxParserVersion() { return 110400; }
