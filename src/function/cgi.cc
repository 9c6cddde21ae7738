#include "function/cgi.h"
