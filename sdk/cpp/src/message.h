// What both ways of serving share: the head of an answer, and the list of a request's headers.
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "hybridserve/function.h"

namespace hs::internal {

/// ASCII lower case, whatever the locale.
std::string Lower(std::string_view text);
bool EqualsIgnoringCase(std::string_view a, std::string_view b);

/// Adds a request's header; a repeated one is joined to the first by ", " (Cookie by "; "), as CGI
/// does. Headers that only frame the message, and names that CGI cannot carry, are left out.
void AddHeader(std::vector<Header>& headers, std::string_view name, std::string_view value);

/// The header lines of `response` that may be sent, each ended by CRLF, Content-Type among them.
/// Leaves out names that are no token and values with control characters, and what the SDK sends.
std::string HeaderLines(const Response& response);

/// `response.status` where it is a final HTTP status (200..599), else 500.
int FinalStatus(const Response& response);

/// "Not Found"; "Status" for a status without a phrase of its own.
std::string_view ReasonPhrase(int status);

}  // namespace hs::internal
