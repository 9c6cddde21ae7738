module statistics

go 1.22
