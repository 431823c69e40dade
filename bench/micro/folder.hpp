// SPDX-License-Identifier: BSD-3-Clause
// A temporary folder for a benchmark, in TMPDIR; removed at the normal end of the program.
#ifndef CW_BENCH_FOLDER_HPP
#define CW_BENCH_FOLDER_HPP

#include <cstdlib>
#include <filesystem>
#include <string>

class Folder
{
      public:
	Folder()
	{
		std::string name =
		    (std::filesystem::temp_directory_path() / "capweir-bench-XXXXXX").string();
		path_ = mkdtemp(name.data()) ? name : std::string();
	}
	~Folder()
	{
		std::error_code ignored;

		if (!path_.empty())
			std::filesystem::remove_all(path_, ignored);
	}
	Folder(const Folder &) = delete;
	Folder &operator=(const Folder &) = delete;

	// Empty if the folder could not be created.
	const std::string &path() const
	{
		return path_;
	}

	// Creates a folder in it and returns its path.
	std::string make(const char *name) const
	{
		std::error_code ignored;
		std::string inner = path_ + "/" + name;

		std::filesystem::create_directory(inner, ignored);
		return inner;
	}

      private:
	std::string path_;
};

#endif
