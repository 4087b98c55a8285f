// Command postgres counts its visitors in a database. In development that is the
// one of the developer's own machine, as .env says; elsewhere the one that the
// Secret database names, as service.yaml says.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	visits, err := open(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err) // and start again: the database may be there by then
	}
	log.Fatal(http.ListenAndServe(":"+cmp.Or(os.Getenv("PORT"), "8080"), visits))
}

// visits are counted in a table.
type visits struct{ db *pgxpool.Pool }

// open connects to a database and sees to it that the table is there.
func open(ctx context.Context, url string) (*visits, error) {
	db, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("reading DATABASE_URL: %w", err)
	}
	if _, err := db.Exec(ctx, `CREATE TABLE IF NOT EXISTS visits (path text PRIMARY KEY, count bigint NOT NULL)`); err != nil {
		return nil, fmt.Errorf("making the table: %w", err)
	}
	return &visits{db}, nil
}

func (v *visits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const count = `INSERT INTO visits AS v VALUES ($1, 1) ON CONFLICT (path) DO UPDATE SET count = v.count + 1 RETURNING count`
	var n int64
	if err := v.db.QueryRow(r.Context(), count, r.URL.Path).Scan(&n); err != nil {
		http.Error(w, "counting: "+err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "visit %d\n", n)
}
