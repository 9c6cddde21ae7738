// A command in Go: prints the same as command.cc.
package main

import (
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		os.Exit(1)
	}
	counts := map[string]int{}
	words := strings.Fields(string(input))
	for _, word := range words {
		counts[word]++
	}
	different := make([]string, 0, len(counts))
	for word := range counts {
		different = append(different, word)
	}
	sort.Slice(different, func(i, j int) bool {
		a, b := different[i], different[j]
		return counts[a] > counts[b] || counts[a] == counts[b] && a < b
	})
	text := "Go for " + os.Getenv("NAME") + "\n"
	for _, argument := range os.Args[1:] {
		text += "argument " + argument + "\n"
	}
	text += strconv.Itoa(len(words)) + " words, " + strconv.Itoa(len(different)) + " different\n"
	if len(different) > 0 {
		text += "most: " + different[0] + "\n"
	}
	os.Stdout.WriteString(text)
	os.Exit(5)
}
