"""What every page is made of: templates, texts in two languages, styles, ES modules and the headers they travel under."""
