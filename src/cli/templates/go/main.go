package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
)

// handle is the function: called once in a fresh Wasm instance, and from several goroutines at once
// in the container.
func handle(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(answer, "cannot read the request's body", http.StatusBadRequest)
		return
	}
	name := string(body)
	if name == "" {
		name = request.URL.Query().Get("name")
	}
	if name == "" {
		name = "world"
	}
	answer.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(answer, "Hello, %s!\n", name)
}

// In the container PORT is set and the program is an HTTP server; as a Wasm module it serves the one
// request of its instance by CGI.
func main() {
	handler := http.HandlerFunc(handle)
	if port := os.Getenv("PORT"); port != "" {
		log.Fatal(http.ListenAndServe(":"+port, handler))
	}
	if err := cgi.Serve(handler); err != nil {
		log.Fatal(err)
	}
}
