// Moved: include "function/exchange.h".
#pragma once
#include "function/exchange.h"
