package writers

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestInnermost(t *testing.T) {
	t.Parallel()
	inner := httptest.NewRecorder()
	hidden := struct{ http.ResponseWriter }{inner}
	require.Nil(t, Unwrap(inner))
	require.Equal(t, http.ResponseWriter(inner), Innermost(inner))
	require.Equal(t, http.ResponseWriter(inner), Innermost(wrapper{wrapper{inner}}))
	require.Equal(t, http.ResponseWriter(hidden), Innermost(wrapper{hidden}))
}
