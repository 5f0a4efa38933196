package validate

import (
	"context"
	"strconv"
	"testing"

	"github.com/go-playground/validator/v10"
	"github.com/stretchr/testify/require"
)

// The cost of an input that is wrong in very many places must grow with its size, not with
// the square of it.
func TestFaultsOfManyEntries(t *testing.T) {
	type entry struct {
		A string `json:"a" validate:"required"`
	}
	type input struct {
		M map[string]entry `json:"m" validate:"dive"`
	}
	const entries = 3000
	in := input{map[string]entry{}}
	for i := range entries {
		in.M["key "+strconv.Itoa(i)] = entry{}
	}
	v := validator.New(validator.WithRequiredStructEnabled())
	var err error
	allocs := testing.AllocsPerRun(1, func() {
		err = Value(context.Background(), v, in, true, func(error) bool { return false })
	})
	var refusal *Error
	require.ErrorAs(t, err, &refusal)
	require.Len(t, refusal.Issues, MaxIssues)
	require.Len(t, refusal.Issues[0].Path, 3)
	require.Less(t, allocs, 100.*entries)
}
