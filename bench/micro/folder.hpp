// SPDX-License-Identifier: BSD-3-Clause
// A folder for what a benchmark writes, in TMPDIR; it goes when the program ends as it should.
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

	// Empty when it could not be made.
	const std::string &path() const
	{
		return path_;
	}

	// A folder in it.
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
