#include "function/manifest.h"
