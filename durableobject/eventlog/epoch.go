package eventlog

import (
	"crypto/rand"
	"strings"
)

// NewEpoch returns a new epoch: 13 random lower case letters and digits, 65 bits,
// so that two logs or two lives of a log never share one.
func NewEpoch() string {
	return strings.ToLower(rand.Text()[:13])
}
