// Answers with the number, minimum, median and maximum of a JSON list of numbers.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
	"sort"
)

type summary struct {
	Count  int     `json:"count"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func summarize(numbers []float64) summary {
	sort.Float64s(numbers)
	middle := len(numbers) / 2
	median := numbers[middle]
	if len(numbers)%2 == 0 {
		median = (numbers[middle-1] + median) / 2
	}
	return summary{len(numbers), numbers[0], median, numbers[len(numbers)-1]}
}

// handle is the function: called once in a fresh Wasm instance, and from several goroutines at once
// in the container.
func handle(answer http.ResponseWriter, request *http.Request) {
	var numbers []float64
	if err := json.NewDecoder(request.Body).Decode(&numbers); err != nil || len(numbers) == 0 {
		http.Error(answer, "send a JSON list of numbers, such as [3, 1, 2]", http.StatusBadRequest)
		return
	}
	answer.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(answer).Encode(summarize(numbers)); err != nil {
		log.Print(err)
	}
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
