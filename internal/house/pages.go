package main

import (
	"path"
	"regexp"
	"strings"
)

// code matches the parts of a page that are not prose.
var code = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")

// checkPage returns the faults of a page, or of a source of a client in TypeScript.
func checkPage(name string, source []byte) []fault {
	text := string(source)
	if path.Ext(name) == ".md" {
		text = code.ReplaceAllStringFunc(text, func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == '\n' {
					return r
				}
				return '_'
			}, s)
		})
	}
	var faults []fault
	for _, f := range append(findPhrases(text), findSubjects(text)...) {
		faults = append(faults, fault{name, 1 + strings.Count(text[:f.at], "\n"), f.words})
	}
	return faults
}
