package dial

import (
	"testing"

	"github.com/go-orpc/durable-iterator/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
